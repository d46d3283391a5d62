// Files that `with { type: 'text' }` imports: the default export is the text, inside a compiled binary too.
declare module '*.py' {
  const text: string;
  // biome-ignore lint/style/noDefaultExport: this is how Bun hands over a file's text
  export default text;
}
