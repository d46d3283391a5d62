// The floors of the house (docs/architecture): what may import what. test/imports.test.ts checks src/ against these rules,
// and a small tree of forbidden imports against them, so that a rule that catches nothing is noticed.

/** Rooms by floor, from the ground up. A room imports its own floor and those below, never above. */
const FLOORS = [
  ['base'],
  ['observe'],
  ['config'],
  ['protocol', 'wiretext'],
  ['validation', 'jsonschema'],
  ['compositor', 'agent', 'peers'],
  ['workspaces'],
  ['models', 'layers', 'stub'],
  ['runs', 'sandbox'],
  ['managed'],
  ['store', 'server'],
  ['app.ts'],
  ['client'],
  ['sessions', 'console'],
  ['cli'],
  ['main.ts'],
];

const path = (rooms) =>
  `^src/(?:${rooms.map((room) => (room.endsWith('.ts') ? `${room.replace('.', '[.]')}$` : `${room}/`)).join('|')})`;

const upward = FLOORS.slice(0, -1).map((rooms, floor) => ({
  name: `not-above-${rooms.join('-')}`,
  comment: `${rooms.join(', ')} must not import what stands above.`,
  severity: 'error',
  from: { path: path(rooms) },
  to: { path: path(FLOORS.slice(floor + 1).flat()) },
}));

module.exports = {
  forbidden: [
    ...upward,
    {
      name: 'known-room',
      comment: 'A new room gets its floor in FLOORS first.',
      severity: 'error',
      from: { path: '^src/', pathNot: path(FLOORS.flat()) },
      to: {},
    },
    { name: 'no-circle', comment: 'Files in a circle.', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-room-circle',
      comment: 'Two rooms that import each other.',
      severity: 'error',
      scope: 'folder',
      from: {},
      to: { circular: true },
    },
    {
      name: 'commands-load-the-server-late',
      comment: 'help, version and check start without the server and its libraries: dynamic import() or types only.',
      severity: 'error',
      from: { path: path(['cli', 'main.ts']) },
      to: {
        path: `${path(['app.ts', 'server', 'store', 'runs', 'managed', 'layers', 'models', 'peers', 'workspaces', 'stub', 'sandbox'])}|node_modules/(?:elysia|@elysiajs|redis|@sinclair/typebox)/`,
        dependencyTypesNot: ['dynamic-import', 'type-only'],
      },
    },
    {
      name: 'client-without-the-server',
      comment: 'What users put into a browser takes only types from the rooms of the server.',
      severity: 'error',
      from: { path: path(['client', 'sessions']) },
      to: { path: '^src/', pathNot: path(['client', 'sessions']), dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'console-is-a-client',
      comment: 'The page runs in a browser: it knows the server through its wire and the client.',
      severity: 'error',
      from: { path: path(['console']) },
      to: { path: '^src/', pathNot: path(['console', 'client']), dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'no-tests-in-src',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(?:test|examples|[.]ci)/' },
    },
    { name: 'resolvable', severity: 'error', from: { path: '^src/' }, to: { couldNotResolve: true } },
    {
      name: 'no-development-package',
      comment: 'The product imports what package.json lists as its dependencies; types may come from anywhere.',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    builtInModules: { add: ['bun', 'bun:sqlite', 'bun:test', 'bun:ffi', 'bun:jsc', 'node:sqlite'] },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['bun', 'import', 'types', 'default'] },
  },
};
