import { localStore } from './outbox.ts';

const KEY = 'kefu:muted';
let context: AudioContext | null = null;

export function isMuted(): boolean {
  return localStore()?.getItem(KEY) === '1';
}

export function setMuted(muted: boolean): void {
  try {
    localStore()?.setItem(KEY, muted ? '1' : '0');
  } catch {
    // Forbidden storage: the choice lasts as long as the browser's default.
  }
}

/** Two soft notes. Browsers allow it only after the person has touched the page; before that it stays silent. */
export function chime(): void {
  if (isMuted()) return;
  try {
    context ??= new AudioContext();
    if (context.state === 'suspended') void context.resume();
    note(context, 740, 0);
    note(context, 988, 0.12);
  } catch {
    // No audio device.
  }
}

function note(audio: AudioContext, hertz: number, after: number): void {
  const start = audio.currentTime + after;
  const oscillator = audio.createOscillator();
  const gain = audio.createGain();
  oscillator.frequency.value = hertz;
  gain.gain.setValueAtTime(0.0001, start);
  gain.gain.exponentialRampToValueAtTime(0.08, start + 0.02);
  gain.gain.exponentialRampToValueAtTime(0.0001, start + 0.28);
  oscillator.connect(gain).connect(audio.destination);
  oscillator.start(start);
  oscillator.stop(start + 0.3);
}
