// The console's page and files as they are served. Loaded when a browser asks for the first of them: the bundle is a literal
// in this module (bundle.ts is a macro), so that the binary, development and tests serve the same page.

import { gunzipSync } from 'node:zlib';
import { bundleConsole } from './bundle.ts' with { type: 'macro' };
import type { BundledFile } from './bundle.ts';

/** A file to serve. */
export interface Asset {
  readonly type: string;
  readonly gzip: Uint8Array<ArrayBuffer>;
  /** With its quotes. */
  readonly etag: string;
  /** Names the content in the file's URL: with it the answer may be kept for ever. */
  readonly hash: string;
}

/** The three files by their paths. */
export interface ConsoleAssets {
  readonly page: Asset;
  readonly script: Asset;
  readonly style: Asset;
}

/** Unpacks the literal. */
export function consoleAssets(): ConsoleAssets {
  const { script, style } = bundleConsole();
  const page = pageOf(script.hash, style.hash);
  return {
    page: {
      type: 'text/html; charset=utf-8',
      gzip: Bun.gzipSync(new TextEncoder().encode(page)),
      etag: `"${Bun.hash(page).toString(16)}"`,
      hash: '',
    },
    script: unpacked(script, 'text/javascript; charset=utf-8'),
    style: unpacked(style, 'text/css; charset=utf-8'),
  };
}

/** The content itself, for clients that do not take gzip. */
export function plainOf({ gzip }: Asset): Uint8Array<ArrayBuffer> {
  return gunzipSync(gzip);
}

function unpacked({ gzip, hash }: BundledFile, type: string): Asset {
  return { type, gzip: Buffer.from(gzip, 'base64'), etag: `"${hash}"`, hash };
}

/** Links are relative to the page, so that a path prefix of a proxy does no harm. The icon is three bars of a waterfall. */
const pageOf = (script: string, style: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Console · Dify Agent</title>
<link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cg fill='%233b66d9'%3E%3Crect x='1' y='2' width='9' height='3' rx='1'/%3E%3Crect x='4' y='6.5' width='7' height='3' rx='1'/%3E%3Crect x='9' y='11' width='6' height='3' rx='1'/%3E%3C/g%3E%3C/svg%3E">
<link rel="stylesheet" href="console/app.css?v=${style}">
<script type="module" src="console/app.js?v=${script}"></script>
</head>
<body>
<div id="app"></div>
<noscript>This page needs JavaScript.</noscript>
</body>
</html>
`;
