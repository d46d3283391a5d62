// The reader's text, embedded by the bundler.
declare module '*.py' {
  const text: string;
  export default text;
}
