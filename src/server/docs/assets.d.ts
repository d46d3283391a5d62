// Files that `with { type: 'file' }` imports: the default export is the path, inside a compiled binary too.
declare module 'swagger-ui-dist/*' {
  const path: string;
  // biome-ignore lint/style/noDefaultExport: this is how Bun hands over a file's path
  export default path;
}
