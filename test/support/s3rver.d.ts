/** What the tests use of s3rver, which has no types. */
declare module 's3rver' {
  import type { AddressInfo } from 'node:net';

  interface StoredObject {
    readonly bucket: string;
    readonly key: string;
  }

  export default class S3rver {
    constructor(options: {
      readonly address: string;
      readonly port: number;
      readonly silent: boolean;
      readonly directory: string;
      readonly vhostBuckets: boolean;
      readonly configureBuckets: readonly { readonly name: string }[];
    });
    readonly store: {
      putObject(object: StoredObject): Promise<unknown>;
      putObjectMultipart(
        bucket: string,
        uploadId: string,
        parts: readonly { readonly number: number; readonly etag: string }[],
      ): Promise<{ readonly md5: string; readonly size: number }>;
      listObjects(
        bucket: string,
        options: { readonly startAfter?: string; readonly prefix?: string; readonly maxKeys?: number },
      ): Promise<{ objects: StoredObject[]; commonPrefixes: string[]; isTruncated: boolean }>;
      getResourcePath(bucket: string, key: string | undefined, resource: string): string;
    };
    run(): Promise<AddressInfo>;
    close(): Promise<void>;
  }
}
