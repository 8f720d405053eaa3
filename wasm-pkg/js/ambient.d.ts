// What runtimes and bundlers provide, as far as it is used here.

declare module "*.wasm" {
  const module: WebAssembly.Module;
  export default module;
}

declare module "cloudflare:workers" {
  export const waitUntil: ((work: Promise<unknown>) => void) | undefined;
}

declare module "node:fs" {
  export function readFileSync(path: string | URL): Uint8Array<ArrayBuffer>;
}

declare module "node:path" {
  export function join(...parts: string[]): string;
}

declare const __dirname: string;

// CommonJS.
declare const module: { exports: object };

declare module "*.wasm?module" {
  const module: WebAssembly.Module;
  export default module;
}

declare module "*.wasm.base64" {
  const base64: string;
  export default base64;
}
