// The modules that are built, not written.

declare module "*.wasm" {
  const module: WebAssembly.Module;
  export default module;
}

declare module "*/build/edge.json" {
  const config: string;
  export default config;
}
