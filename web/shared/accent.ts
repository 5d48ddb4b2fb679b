/** Takes a shop's own colour (#rgb or #rrggbb), and dark or light text on it, whichever can be read. */
export function useAccent(color: string | null): void {
  const match = color && /^#(?:[0-9a-f]{3}){1,2}$/i.test(color) ? color.slice(1) : null;
  if (!match) return;
  const hex = match.length === 3 ? [...match].map((digit) => digit + digit).join('') : match;
  const [red, green, blue] = [0, 2, 4].map((at) => channel(parseInt(hex.slice(at, at + 2), 16)));
  const luminance = 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!;
  const style = document.documentElement.style;
  style.setProperty('--accent', `#${hex}`);
  style.setProperty('--on-accent', luminance > 0.4 ? '#14201a' : '#ffffff');
}

/** One sRGB channel as light, as WCAG counts contrast. */
function channel(value: number): number {
  const part = value / 255;
  return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
}
