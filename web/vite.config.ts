import { fileURLToPath } from 'node:url';
import preact from '@preact/preset-vite';
import { build, defineConfig, type Plugin } from 'vite';

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const outDir = at('../dist/web');
const target = 'es2022';

/**
 * The loader is built on its own: other people's pages name it in a script tag, so its file name is fixed, and it
 * must be a classic script that leaves no names behind and pulls in no chunk shared with the pages.
 */
function loader(): Plugin {
  return {
    name: 'kefu-loader',
    apply: 'build',
    async closeBundle() {
      await build({
        configFile: false,
        root: at('.'),
        logLevel: 'warn',
        publicDir: false,
        build: {
          outDir,
          target,
          emptyOutDir: false,
          lib: {
            entry: at('loader/widget.ts'),
            formats: ['iife'],
            name: 'kefuWidget',
            fileName: () => 'widget.js',
          },
        },
      });
    },
  };
}

export default defineConfig({
  root: at('.'),
  // Relative, so that a reverse proxy may serve kefu below a path of its own.
  base: './',
  publicDir: false,
  plugins: [preact({ devToolsEnabled: false }), loader()],
  server: {
    proxy: { '/v1': { target: process.env['KEFU_URL'] ?? 'http://127.0.0.1:8080', ws: true } },
  },
  build: {
    outDir,
    target,
    emptyOutDir: true,
    // The pages' policy allows no inline script, and every browser of this target preloads modules by itself.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rollupOptions: {
      input: {
        index: at('index.html'),
        desk: at('desk.html'),
        cluster: at('cluster.html'),
        widget: at('widget.html'),
      },
    },
  },
});
