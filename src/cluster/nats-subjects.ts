/** The names under which kefu lives on NATS. A cluster's own are `kefu.<cluster>.…` and its KV bucket. */

/**
 * Any text as one token of a subject or a KV key: letters, digits, `-` and `_` stay, everything else is `=` and
 * the hex digits of its UTF-16 unit, so that no two texts become one token.
 */
export function subjectToken(text: string): string {
  return text.replace(/[^A-Za-z0-9_-]/g, (unit) => `=${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** A bucket's name takes no `=`: the cluster's own name is checked by the configuration, this is for the rest. */
export function bucketOf(cluster: string): string {
  return `kefu_${subjectToken(cluster).replaceAll('=', '-')}`;
}

export function beatSubject(cluster: string): string {
  return `kefu.${subjectToken(cluster)}.beat`;
}

export function threadSubject(cluster: string, thread: string): string {
  return `kefu.${subjectToken(cluster)}.thread.${subjectToken(thread)}`;
}
