// What Linux says about a process: CPU time and resident memory, as the benches need them.

import { readFileSync } from 'node:fs';

/** User and system time of a process, ms (Linux ticks are 10 ms). */
export function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** Resident memory of a process, MB. */
export function megabytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

/** Watches the resident memory of a process until it is stopped; returns the most that was seen, MB. */
export function watchMegabytes(pid: number, everyMs = 100): { stop(): number } {
  let most = megabytes(pid);
  const timer = setInterval(() => {
    most = Math.max(most, megabytes(pid));
  }, everyMs);
  return {
    stop() {
      clearInterval(timer);
      return Math.max(most, megabytes(pid));
    },
  };
}
