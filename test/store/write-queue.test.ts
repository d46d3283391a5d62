import { expect, test } from 'bun:test';
import { createWriteQueue, QUEUE_MAX_CHARS, QUEUE_MAX_TASKS } from '../../src/store/write-queue.ts';

/** A transaction that writes down what happens; `failing` commits fail. */
function recorded(failing = 0) {
  const log: string[] = [];
  let left = failing;
  const queue = createWriteQueue(
    {
      begin: () => void log.push('begin'),
      commit() {
        if (left-- > 0) throw new Error('no room');
        log.push('commit');
      },
      rollback: () => void log.push('rollback'),
    },
    (error) => new Error(`mapped: ${String(error)}`),
  );
  const write = (name: string, chars = 0) =>
    queue.submit(() => {
      log.push(name);
      return name;
    }, chars);
  return { queue, log, write };
}

test('everything of one turn shares a transaction, in order, and resolves after its commit', async () => {
  const { log, write } = recorded();
  expect(await Promise.all([write('a'), write('b'), write('c')])).toEqual(['a', 'b', 'c']);
  expect(await write('d')).toBe('d');
  expect(log).toEqual(['begin', 'a', 'b', 'c', 'commit', 'begin', 'd', 'commit']);
});

test('when a shared commit fails each task is tried alone, and only those that fail again are rejected', async () => {
  const { log, write } = recorded(2);
  const results = await Promise.allSettled([write('a'), write('b')]);
  expect(results).toMatchObject([
    { status: 'rejected', reason: { message: 'mapped: Error: no room' } },
    { status: 'fulfilled', value: 'b' },
  ]);
  expect(log).toEqual(['begin', 'a', 'b', 'rollback', 'begin', 'a', 'rollback', 'begin', 'b', 'commit']);
});

test('a full queue is written at once, so that it cannot grow', async () => {
  const many = recorded();
  const writes = Array.from({ length: QUEUE_MAX_TASKS }, (_, i) => many.write(String(i)));
  expect(many.log.at(-1)).toBe('commit');
  await Promise.all(writes);
  const large = recorded();
  const first = large.write('a', QUEUE_MAX_CHARS - 1);
  expect(large.log).toEqual([]);
  const second = large.write('b', 1);
  expect(large.log).toEqual(['begin', 'a', 'b', 'commit']);
  await Promise.all([first, second]);
});

test('flushing writes what is waiting, now', async () => {
  const { queue, log, write } = recorded();
  queue.flush();
  expect(log).toEqual([]);
  const done = write('a');
  queue.flush();
  expect(log).toEqual(['begin', 'a', 'commit']);
  expect(await done).toBe('a');
});

test('a rollback that fails too rejects the tasks, and the queue goes on', async () => {
  let broken = true;
  const fail = () => {
    if (broken) throw new Error('disk I/O error');
  };
  const queue = createWriteQueue(
    { begin: () => {}, commit: fail, rollback: fail },
    (error) => new Error(String(error)),
  );
  const results = await Promise.allSettled([queue.submit(() => 'a', 0), queue.submit(() => 'b', 0)]);
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  broken = false;
  expect(await queue.submit(() => 'c', 0)).toBe('c');
});
