import { fileURLToPath } from 'node:url';

/** Where objects are: what `--objects` says, taken apart. Plain data, so that worker threads get it too. */
export type ObjectsLocation =
  | { readonly kind: 'file'; readonly directory: string }
  | {
      readonly kind: 's3';
      readonly bucket: string;
      /** Before every key: empty, or ends in a slash. */
      readonly prefix: string;
      /** Of a store that is not AWS. */
      readonly endpoint?: string;
      readonly region?: string;
      /** `ENDPOINT/BUCKET/KEY` instead of `BUCKET.ENDPOINT/KEY`. */
      readonly pathStyle: boolean;
    };

const bucketPattern = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const prefixPattern = /^[a-z0-9][a-z0-9/_.-]{0,200}$/;
const parameters = new Set(['endpoint', 'region', 'path_style']);

/**
 * `file:///DIR` or `s3://BUCKET[/PREFIX]?endpoint=URL&region=…&path_style=true|false`. Throws an Error that says what is
 * wrong, and never repeats what may be a secret.
 */
export function parseObjectsUrl(text: string): ObjectsLocation {
  if (!text.startsWith('s3:')) return { kind: 'file', directory: directoryOf(text) };
  const url = URL.parse(text);
  if (url === null || !text.startsWith('s3://'))
    throw new Error('is not a URL like s3://BUCKET?endpoint=URL');
  if (url.username !== '' || url.password !== '')
    throw new Error('must not hold credentials: give them in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY');
  if (!bucketPattern.test(url.host)) throw new Error('has no bucket’s name after s3://');
  const prefix = url.pathname.replace(/^\/+|\/+$/g, '');
  if (prefix !== '' && (!prefixPattern.test(prefix) || /\.\.|\/\//.test(prefix)))
    throw new Error('has a prefix that is not of a-z, 0-9, /, _, . and -');
  for (const name of url.searchParams.keys())
    if (!parameters.has(name) || url.searchParams.getAll(name).length > 1)
      throw new Error('may have endpoint, region and path_style after the ?, each once');
  const endpoint = endpointOf(url.searchParams.get('endpoint'));
  const region = url.searchParams.get('region');
  if (region !== null && !/^[a-z0-9-]{1,40}$/.test(region)) throw new Error('has a region that is none');
  const style = url.searchParams.get('path_style');
  if (style !== null && style !== 'true' && style !== 'false')
    throw new Error('has a path_style that is neither true nor false');
  return {
    kind: 's3',
    bucket: url.host,
    prefix: prefix === '' ? '' : `${prefix}/`,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === null ? {} : { region }),
    // What has an address of its own seldom has a name for each bucket; AWS wants one.
    pathStyle: style === null ? endpoint !== undefined : style === 'true',
  };
}

function directoryOf(text: string): string {
  try {
    return fileURLToPath(text);
  } catch {
    throw new Error('is not a URL like file:///DIR or s3://BUCKET?endpoint=URL');
  }
}

function endpointOf(text: string | null): string | undefined {
  if (text === null) return undefined;
  const url = URL.parse(text);
  const isPlain =
    url !== null &&
    /^https?:$/.test(url.protocol) &&
    url.username === '' &&
    url.password === '' &&
    url.search === '' &&
    url.hash === '';
  if (!isPlain) throw new Error('has an endpoint that is not a URL like https://s3.example.com:9000');
  return url.href.replace(/\/+$/, '');
}
