import type { Reader } from './database.ts';

export interface FileRow {
  readonly id: string;
  readonly session: string;
  readonly name: string;
  readonly mime: string;
  readonly size: number;
  /** The object's key in the object store. */
  readonly object: string;
}

/** Which files belong to which session; their bytes are in the object store. */
export class Files {
  readonly #reader: Reader;

  constructor(reader: Reader) {
    this.#reader = reader;
  }

  async add(file: FileRow): Promise<void> {
    await this.#reader.query(
      (
        sql,
      ) => sql`insert into files values (${file.id}::uuid, ${file.session}::uuid, ${file.name}, ${file.mime},
        ${file.size}, ${file.object})`,
    );
  }

  async list(session: string): Promise<FileRow[]> {
    const rows = await this.#reader.query(
      (sql) => sql<(Omit<FileRow, 'size'> & { size: string })[]>`
        select * from files where session = ${session}::uuid order by id`,
    );
    return rows.map((row) => ({ ...row, size: Number(row.size) }));
  }

  async get(session: string, id: string): Promise<FileRow | undefined> {
    const [row] = await this.#reader.query(
      (sql) => sql<(Omit<FileRow, 'size'> & { size: string })[]>`
        select * from files where id = ${id}::uuid and session = ${session}::uuid`,
    );
    return row === undefined ? undefined : { ...row, size: Number(row.size) };
  }
}
