import { hueOf, initials } from './format.ts';

export function Avatar({ id, name, size = 36 }: { id: string; name: string; size?: number }) {
  const hue = hueOf(id);
  const style = {
    width: `${size}px`,
    height: `${size}px`,
    fontSize: `${Math.round(size * 0.4)}px`,
    background: `linear-gradient(145deg, hsl(${hue} 42% 52%), hsl(${(hue + 24) % 360} 46% 40%))`,
  };
  return (
    <span class="avatar" style={style} aria-hidden="true">
      {initials(name)}
    </span>
  );
}
