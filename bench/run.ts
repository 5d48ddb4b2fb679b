/** `npm run bench [subject] [-- flags]`: one folder a subject. */
const [subject = 'talk', ...flags] = process.argv.slice(2);
if (!/^[a-z]+$/.test(subject)) throw new Error(`${subject} is no subject`);
const { run } = (await import(`./${subject}/index.ts`)) as {
  run: (flags: readonly string[]) => Promise<void>;
};
await run(flags);
process.exit(0);
