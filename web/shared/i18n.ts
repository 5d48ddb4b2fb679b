export type Lang = 'en' | 'zh';

/** Every word in both languages side by side, so that neither can be forgotten; the keys are checked by the compiler. */
export type Words = Record<string, readonly [en: string, zh: string]>;
export type Vars = Record<string, string | number>;

function pickLang(): Lang {
  const asked =
    new URLSearchParams(location.hash.slice(1)).get('lang') ??
    new URLSearchParams(location.search).get('lang');
  const wanted = asked ? [asked] : navigator.languages;
  for (const tag of wanted) {
    if (/^zh\b/i.test(tag)) return 'zh';
    if (/^en\b/i.test(tag)) return 'en';
  }
  return 'en';
}

export const lang = pickLang();
export const locale = lang === 'zh' ? 'zh-CN' : 'en';

export function translator<W extends Words>(words: W): (key: keyof W, vars?: Vars) => string {
  const index = lang === 'zh' ? 1 : 0;
  return (key, vars) => {
    const text = words[key]?.[index] ?? String(key);
    return vars ? text.replace(/\{(\w+)\}/g, (_, name: string) => String(vars[name] ?? '')) : text;
  };
}
