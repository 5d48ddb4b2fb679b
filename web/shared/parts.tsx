import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { lightbox, version, type Chat } from './chat.ts';
import { t } from './words.ts';
import { Icon } from './icons.tsx';

/** Says what the connection is doing when it is not simply there. Short losses pass without a word. */
export function LinkBanner({ chat }: { chat: Chat }) {
  void version.value;
  const link = chat.client.connection.link;
  const [slow, setSlow] = useState(false);
  const ready = link.name === 'ready';
  useEffect(() => {
    setSlow(false);
    if (ready) return;
    const timer = setTimeout(() => setSlow(true), 1200);
    return () => clearTimeout(timer);
  }, [ready]);
  const retry = () => chat.client.connection.retryNow();
  if (link.name === 'stopped' && link.reason === 'superseded') {
    return (
      <div class="banner" role="status">
        {t('superseded')} <button onClick={retry}>{t('useHere')}</button>
      </div>
    );
  }
  if (ready || !slow || link.name === 'stopped' || link.name === 'idle') return null;
  return (
    <div class="banner" role="status">
      <span class="pulse" aria-hidden="true" />
      {link.name === 'waiting' ? t('offline') : t('reconnecting')}
      {link.name === 'waiting' && <button onClick={retry}>{t('tryNow')}</button>}
    </div>
  );
}

export function Lightbox() {
  const shown = lightbox.value;
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (shown) dialog.current?.showModal();
  }, [shown]);
  if (!shown) return null;
  const close = () => (lightbox.value = null);
  return (
    <dialog ref={dialog} class="lightbox" onClose={close} onClick={close} aria-label={shown.name}>
      <img src={shown.src} alt={shown.name} />
      <span class="lightbox-tools">
        <a href={shown.src} download={shown.name} onClick={(event) => event.stopPropagation()}>
          {t('download')}
        </a>
        <button onClick={close} aria-label={t('close')}>
          <Icon name="close" />
        </button>
      </span>
    </dialog>
  );
}

export interface DialogProps {
  title: string;
  close(): void;
  children: ComponentChildren;
}

/** The browser's own modal dialog: it keeps the focus inside, closes on Esc and gives the focus back. */
export function Dialog({ title, close, children }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  return (
    <dialog
      ref={dialog}
      class="dialog"
      aria-label={title}
      onClose={close}
      onClick={(event) => event.target === dialog.current && close()}
    >
      <div class="dialog-body">
        <header>
          <h2>{title}</h2>
          <button type="button" class="tool" onClick={close} aria-label={t('close')}>
            <Icon name="close" />
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}

/** Takes files dropped anywhere on it. */
export function DropZone(props: { class: string; drop(files: File[]): void; children: ComponentChildren }) {
  const [over, setOver] = useState(0);
  const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false;
  return (
    <div
      class={props.class}
      onDragEnter={(event) => hasFiles(event) && setOver((depth) => depth + 1)}
      onDragLeave={(event) => hasFiles(event) && setOver((depth) => Math.max(0, depth - 1))}
      onDragOver={(event) => hasFiles(event) && event.preventDefault()}
      onDrop={(event) => {
        setOver(0);
        const files = [...(event.dataTransfer?.files ?? [])];
        if (files.length === 0) return;
        event.preventDefault();
        props.drop(files);
      }}
    >
      {props.children}
      {over > 0 && <div class="drop-hint">{t('dropHere')}</div>}
    </div>
  );
}
