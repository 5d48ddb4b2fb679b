import { filter, infoOpen, select, selected, sheet, step, tab } from './store.ts';

function isWriting(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches('input, textarea, select');
}

/** The desk's keyboard. Dialogs close on Esc by themselves. */
export function listenToKeys(): void {
  addEventListener('keydown', (event) => {
    if (event.isComposing) return;
    if (event.altKey && (event.key === 'ArrowDown' || event.key === 'ArrowUp')) {
      event.preventDefault();
      step(event.key === 'ArrowDown' ? 1 : -1);
    } else if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
      event.preventDefault();
      document.getElementById('filter')?.focus();
    } else if (event.key === '/' && !isWriting(event.target) && sheet.value === null) {
      event.preventDefault();
      tab.value = 'search';
      // On a phone the lists are behind the talk.
      if (selected.value && matchMedia('(max-width: 760px)').matches) void select(null);
      setTimeout(() => document.getElementById('filter')?.focus());
    } else if (event.key === 'ArrowDown' && document.activeElement?.id === 'filter') {
      event.preventDefault();
      document.querySelector<HTMLElement>('.lists .list button')?.focus();
    } else if (event.key === 'Escape' && !document.querySelector('dialog[open]')) {
      escape();
    } else if (event.key === '?' && !isWriting(event.target) && sheet.value === null) {
      event.preventDefault();
      sheet.value = 'help';
    }
  });
}

/** One layer at a time: the filter, the customer's panel where it covers the talk, then the talk itself. */
function escape(): void {
  if (document.activeElement?.id === 'filter') {
    filter.value = '';
    (document.activeElement as HTMLElement).blur();
  } else if (infoOpen.value && matchMedia('(max-width: 1099px)').matches) infoOpen.value = false;
  else if (selected.value) void select(null);
}
