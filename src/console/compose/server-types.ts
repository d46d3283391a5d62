// Which layer types the server has, as its status tells: the scripted model is there only where somebody has switched it on.

import { type ReadonlySignal, useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { ApiError, problemOf } from '../api.ts';
import { useConsole } from '../context.ts';
import { readStatus } from '../overview/status.ts';

/** `untold`: it does not say, for a reason. */
export type ServerTypes =
  | { readonly state: 'asked' }
  | { readonly state: 'known'; readonly types: ReadonlySet<string> }
  | { readonly state: 'untold'; readonly reason: string };

/** Whether it is known that the server lacks a type. */
export function lacks(known: ServerTypes, type: string): boolean {
  return known.state === 'known' && !known.types.has(type);
}

/** Asks when the screen is opened, and again with another token. */
export function useServerTypes(): ReadonlySignal<ServerTypes> {
  const { api } = useConsole();
  const told = useSignal<ServerTypes>({ state: 'asked' });
  const token = api.token.value;
  useEffect(() => {
    const controller = new AbortController();
    const { signal } = controller;
    const ask = async (): Promise<ServerTypes> => {
      try {
        const { layerTypes } = readStatus(await api.json('/internal/status', signal));
        return layerTypes === null
          ? { state: 'untold', reason: 'its version does not say' }
          : { state: 'known', types: new Set(layerTypes) };
      } catch (error) {
        const isMissing = error instanceof ApiError && error.missing;
        return { state: 'untold', reason: isMissing ? 'it does not tell its status' : problemOf(error) };
      }
    };
    void ask().then((answer) => {
      if (!signal.aborted) told.value = answer;
    });
    return () => controller.abort();
  }, [token]);
  return told;
}
