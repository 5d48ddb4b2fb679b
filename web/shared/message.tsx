import { useEffect, useState } from 'preact/hooks';
import { lightbox, type Chat } from './chat.ts';
import { clockTime, fileSize, nameOf } from './format.ts';
import { Avatar } from './avatar.tsx';
import { Icon } from './icons.tsx';
import type { Body, ChatEvent, FileBody } from './protocol.ts';
import { isAddress, Text } from './text.tsx';
import { errorText, t } from './words.ts';

export type Tick = 'sending' | 'sent' | 'read' | 'failed';

/** One bubble, whatever it came from: an event of the log, a message in the outbox or a file on its way up. */
export interface Bubble {
  key: string;
  /** Its place in the log; none while it is not there. */
  seq?: number;
  mine: boolean;
  /** Somebody else wrote it, a colleague on the same side included. */
  named: boolean;
  from: { id: string; name: string };
  bot: boolean;
  at: string | null;
  body: Body | string;
  tick: Tick | null;
  /** First and last of a run of one sender: the first bears the name, the last the time. */
  starts: boolean;
  ends: boolean;
  error?: string;
  retry?: () => void;
  discard?: () => void;
  uploading?: boolean;
}

function Picture({ chat, body }: { chat: Chat; body: FileBody }) {
  const [src, setSrc] = useState<string | null>(null);
  const [lost, setLost] = useState(false);
  useEffect(() => {
    let current = true;
    chat.blobs.get(body.url).then(
      (url) => current && setSrc(url),
      () => current && setLost(true),
    );
    return () => {
      current = false;
    };
  }, [body.url]);
  if (lost) return <span class="picture-lost">{t('imageLost')}</span>;
  if (!src) return <span class="picture-wait" role="img" aria-label={body.name} />;
  return (
    <button class="picture" onClick={() => (lightbox.value = { src, name: body.name })}>
      <img src={src} alt={body.name} onError={() => setLost(true)} />
    </button>
  );
}

function FileCard({ chat, body }: { chat: Chat; body: FileBody }) {
  return (
    <button class="file" onClick={() => void chat.blobs.save(body.url, body.name).catch(() => undefined)}>
      <Icon name="file" size={26} />
      <span class="file-about">
        <b>{body.name}</b>
        <small>
          {fileSize(body.size)} · {t('download')}
        </small>
      </span>
    </button>
  );
}

function Content({ chat, body, uploading }: { chat: Chat; body: Body | string; uploading: boolean }) {
  if (typeof body === 'string') return <Text text={body} />;
  switch (body.type) {
    case 'text':
      return <Text text={body.text} />;
    case 'image':
      return uploading ? <UploadCard body={body} /> : <Picture chat={chat} body={body} />;
    case 'file':
      return uploading ? <UploadCard body={body} /> : <FileCard chat={chat} body={body} />;
    case 'card':
      return (
        <span class="card">
          <b>{body.title}</b>
          {body.text && <Text text={body.text} />}
          {body.url && isAddress(body.url) && <Text text={body.url} />}
        </span>
      );
    case 'event':
      return <i>{body.name}</i>;
    default:
      return null;
  }
}

function UploadCard({ body }: { body: FileBody }) {
  return (
    <span class="file">
      <Icon name={body.type === 'image' ? 'clip' : 'file'} size={22} />
      <span class="file-about">
        <b>{body.name}</b>
        <small>{fileSize(body.size)}</small>
      </span>
    </span>
  );
}

function Meta({ bubble }: { bubble: Bubble }) {
  const { tick, at } = bubble;
  const icon = tick === 'read' ? 'checks' : tick === 'sent' ? 'check' : 'clock';
  const label = tick === 'read' ? t('read') : tick === 'sent' ? t('sent') : t('sending');
  return (
    <span class={`meta ${tick ?? ''}`}>
      {bubble.uploading ? t('uploading') : at && <time dateTime={at}>{clockTime(at)}</time>}
      {tick && (
        <span class="tick" title={label}>
          <Icon name={icon} size={14} />
          <span class="sr">{label}</span>
        </span>
      )}
    </span>
  );
}

export function MessageRow({ chat, bubble }: { chat: Chat; bubble: Bubble }) {
  const { mine, from, starts, ends, tick, body } = bubble;
  const picture = typeof body !== 'string' && body.type === 'image' && !bubble.uploading;
  const classes = [
    'message',
    mine ? 'mine' : 'theirs',
    starts ? 'starts' : '',
    ends ? 'ends' : '',
    tick ?? '',
  ];
  return (
    <div class={classes.join(' ')} data-key={bubble.key} data-seq={bubble.seq}>
      {!mine && <span class="side">{ends && <Avatar id={from.id} name={from.name} size={30} />}</span>}
      <div class="stack">
        {bubble.named && starts && (
          <span class="who">
            {from.name}
            {bubble.bot && <span class="bot">BOT</span>}
          </span>
        )}
        <div class={picture ? 'bubble bare' : 'bubble'}>
          <Content chat={chat} body={body} uploading={bubble.uploading ?? false} />
        </div>
        {tick === 'failed' ? (
          <span class="meta failed" role="alert">
            <Icon name="alert" size={14} />
            {t('notSent')}
            {bubble.error && ` · ${errorText(bubble.error)}`}
            <button onClick={bubble.retry}>{t('retry')}</button>
            <button onClick={bubble.discard}>{t('discard')}</button>
          </span>
        ) : (
          (ends || tick === 'sending') && <Meta bubble={bubble} />
        )}
      </div>
    </div>
  );
}

export function NoteRow({ event, rowKey }: { event: ChatEvent; rowKey: string }) {
  return (
    <div class="note" data-key={rowKey} data-seq={event.seq}>
      <b>{nameOf(event.from)}</b>
      <Text text={event.text ?? event.note ?? ''} />
      {event.at && <time>{clockTime(event.at)}</time>}
    </div>
  );
}
