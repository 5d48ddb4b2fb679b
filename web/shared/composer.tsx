import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { Icon } from './icons.tsx';
import { t } from './words.ts';

export interface ComposerProps {
  /** Whose draft it is; another key brings another draft. */
  draftKey: string;
  charsMax: number;
  placeholder?: string;
  disabled?: boolean;
  autofocus?: boolean;
  /** False when it was not taken: the text stays. */
  send(text: string): boolean;
  sendFiles(files: File[]): void;
  typing(): void;
}

const drafts = new Map<string, string>();

export function Composer(props: ComposerProps) {
  const { draftKey, charsMax, disabled = false } = props;
  const [text, setText] = useState(drafts.get(draftKey) ?? '');
  const [full, setFull] = useState(false);
  const area = useRef<HTMLTextAreaElement>(null);
  const picker = useRef<HTMLInputElement>(null);

  useEffect(() => {
    setText(drafts.get(draftKey) ?? '');
    setFull(false);
    if (props.autofocus) area.current?.focus();
  }, [draftKey, props.autofocus]);

  useLayoutEffect(() => {
    const element = area.current;
    if (!element) return;
    element.style.height = 'auto';
    element.style.height = `${Math.min(element.scrollHeight, 160)}px`;
  }, [text]);

  const write = (value: string) => {
    drafts.set(draftKey, value);
    setText(value);
    if (value.trim()) props.typing();
  };

  const over = [...text].length - charsMax;
  const send = () => {
    const trimmed = text.trim();
    if (!trimmed || over > 0 || disabled) return;
    const taken = props.send(trimmed);
    setFull(!taken);
    if (!taken) return;
    drafts.delete(draftKey);
    setText('');
    area.current?.focus();
  };

  const onKeyDown = (event: KeyboardEvent) => {
    // Enter that ends an input method's composition belongs to the word, not to the message.
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    send();
  };

  const onPaste = (event: ClipboardEvent) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0) return;
    event.preventDefault();
    props.sendFiles(files);
  };

  const onPick = () => {
    const input = picker.current;
    if (!input?.files?.length) return;
    props.sendFiles([...input.files]);
    input.value = '';
  };

  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      {(over > 0 || full) && (
        <p class="composer-warning" role="alert">
          {full ? t('outboxFull') : t('tooLong', { n: over })}
        </p>
      )}
      <input ref={picker} type="file" multiple hidden onChange={onPick} tabIndex={-1} />
      <button
        type="button"
        class="tool"
        title={t('attach')}
        aria-label={t('attach')}
        disabled={disabled}
        onClick={() => picker.current?.click()}
      >
        <Icon name="clip" />
      </button>
      <textarea
        ref={area}
        rows={1}
        value={text}
        disabled={disabled}
        placeholder={props.placeholder ?? t('write')}
        aria-label={props.placeholder ?? t('write')}
        enterkeyhint="send"
        onInput={(event) => write(event.currentTarget.value)}
        onKeyDown={onKeyDown}
        onPaste={onPaste}
      />
      <button
        class="send"
        aria-label={t('send')}
        title={t('send')}
        disabled={disabled || !text.trim() || over > 0}
      >
        <Icon name="send" />
      </button>
    </form>
  );
}
