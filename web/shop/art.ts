// Pictures drawn in SVG, so that the demo loads nothing from anywhere else.

const frame = (inner: string) => `<svg viewBox="0 0 240 200" role="presentation">${inner}</svg>`;
const shade = (y: number, rx: number) =>
  `<ellipse cx="120" cy="${y}" rx="${rx}" ry="7" fill="#000" opacity=".09"/>`;

export const art = {
  cup: frame(
    `${shade(160, 56)}<path d="M72 76h96c0 46-16 80-48 80s-48-34-48-80Z" fill="#a9c7b4"/><path d="M120 156c32 0 48-34 48-80h-22c0 44-10 70-36 79 3 1 7 1 10 1Z" fill="#8fb39e"/><ellipse cx="120" cy="76" rx="48" ry="11" fill="#cfe0d5"/><ellipse cx="120" cy="78" rx="41" ry="8" fill="#c9a45c"/>`,
  ),
  pot: frame(
    `${shade(164, 66)}<path d="M172 104c24-14 34-2 30 12-4 16-20 24-36 26" fill="none" stroke="#7c4a3a" stroke-width="9" stroke-linecap="round"/><path d="M70 118 40 92c-5-4-2-10 4-8l30 14" fill="#8a5443"/><circle cx="120" cy="118" r="55" fill="#8a5443"/><path d="M175 118a55 55 0 0 1-70 53c34-2 52-26 52-56 0-18-6-33-16-43a55 55 0 0 1 34 46Z" fill="#75432f"/><path d="M86 74c8-14 60-14 68 0-10 9-58 9-68 0Z" fill="#996150"/><circle cx="120" cy="58" r="8" fill="#75432f"/>`,
  ),
  tin: frame(
    `${shade(170, 46)}<rect x="78" y="58" width="84" height="112" rx="8" fill="#2f5d4d"/><rect x="138" y="58" width="24" height="112" rx="8" fill="#274e41"/><rect x="74" y="40" width="92" height="28" rx="7" fill="#3b7160"/><rect x="96" y="90" width="48" height="58" rx="3" fill="#f3ead6"/><path d="M120 136c-14-10-14-26 0-36 14 10 14 26 0 36Zm0-30v34" fill="none" stroke="#2f5d4d" stroke-width="3" stroke-linecap="round"/>`,
  ),
  plate: frame(
    `${shade(160, 80)}<ellipse cx="112" cy="132" rx="84" ry="26" fill="#d9dfe0"/><ellipse cx="112" cy="128" rx="84" ry="25" fill="#f2f4f2"/><ellipse cx="112" cy="129" rx="56" ry="15" fill="#e2e8e7"/><ellipse cx="130" cy="98" rx="80" ry="25" fill="#cfd8da"/><ellipse cx="130" cy="94" rx="80" ry="24" fill="#f6f7f5"/><ellipse cx="130" cy="95" rx="53" ry="14" fill="#dfe7e8"/>`,
  ),
  tray: frame(
    `${shade(156, 92)}<path d="m40 112 40-34h124l-28 34H40Z" fill="#d8b67c"/><path d="M40 112h136v24a8 8 0 0 1-8 8H48a8 8 0 0 1-8-8v-24Z" fill="#b98f52"/><path d="m176 112 28-34v26l-28 36v-28Z" fill="#a07a43"/><path d="M66 104h106m-96-9h104m-94-8h102" stroke="#a07a43" stroke-width="2.500" stroke-linecap="round"/>`,
  ),
  vase: frame(
    `${shade(178, 34)}<path d="M108 58h24c0 14 36 22 36 56 0 34-24 42-26 64H98c-2-22-26-30-26-64 0-34 36-42 36-56Z" fill="#9aa3a0"/><path d="M132 58c0 14 36 22 36 56 0 34-24 42-26 64h-20c4-24 22-30 22-64 0-32-20-40-22-56h10Z" fill="#7f8a87"/><ellipse cx="120" cy="57" rx="13" ry="4" fill="#636d6a"/><path d="M120 56c2-16-6-26 6-40m-5 24c8-2 14-6 18-14" fill="none" stroke="#5c4638" stroke-width="3" stroke-linecap="round"/><circle cx="127" cy="16" r="6" fill="#d98a86"/><circle cx="140" cy="25" r="5" fill="#e6a5a0"/><circle cx="117" cy="33" r="4.500" fill="#d98a86"/>`,
  ),
  hero: `<svg viewBox="0 0 520 380" role="presentation"><circle cx="300" cy="170" r="150" fill="#e9dcc0"/><path d="M20 330c60-70 120-90 190-60s120 10 170-40 90-50 140-20v170H20Z" fill="#c6d5c8"/><path d="M0 350c80-50 150-50 230-20s170 20 290-30v80H0Z" fill="#9fbba6"/><g transform="translate(128 96) scale(1.250)"><ellipse cx="120" cy="166" rx="66" ry="7" fill="#000" opacity=".1"/><path d="M172 104c24-14 34-2 30 12-4 16-20 24-36 26" fill="none" stroke="#4f7f6a" stroke-width="9" stroke-linecap="round"/><path d="M70 118 40 92c-5-4-2-10 4-8l30 14" fill="#6f9c86"/><circle cx="120" cy="118" r="55" fill="#7fab95"/><path d="M175 118a55 55 0 0 1-70 53c34-2 52-26 52-56 0-18-6-33-16-43a55 55 0 0 1 34 46Z" fill="#64937d"/><path d="M86 74c8-14 60-14 68 0-10 9-58 9-68 0Z" fill="#92bba6"/><circle cx="120" cy="58" r="8" fill="#64937d"/></g><path d="M212 96c-10-18 12-26 2-46m24 48c-10-18 12-26 2-46" fill="none" stroke="#fff" stroke-width="5" stroke-linecap="round" opacity=".8"/></svg>`,
} as const;
