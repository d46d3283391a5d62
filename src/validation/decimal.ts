// `Decimal` in pydantic's lax mode (spec 01 §5.2): a number, or a text that Python's Decimal reads. The value stays as it
// was given; nobody calculates here.

import { isJsonNumber, toNumber } from '../wiretext/numbers.ts';
import { pyStrip } from '../wiretext/strip.ts';
import { floor, LAX, type Node, report, type State } from './state.ts';

const FINITE = /^[+-]?(?:\p{Nd}+(?:\.\p{Nd}*)?|\.\p{Nd}+)(?:e[+-]?\p{Nd}+)?$/iu;
const NON_FINITE = /^[+-]?(?:inf(?:inity)?|s?nan\p{Nd}*)$/iu;

export const decimalNode: Node = (input, state) => {
  if (isJsonNumber(input)) {
    floor(state, LAX);
    const value = toNumber(input);
    // An int may be larger than any double.
    return Number.isFinite(value) || typeof input !== 'number' ? input : notFinite(input, state);
  }
  if (typeof input !== 'string') {
    const msg = 'Decimal input should be an integer, float, string or Decimal object';
    return report(state, 'decimal_type', msg, input);
  }
  floor(state, LAX);
  const text = pyStrip(input).replaceAll('_', '');
  if (FINITE.test(text)) return input;
  if (NON_FINITE.test(text)) return notFinite(input, state);
  return report(state, 'decimal_parsing', 'Input should be a valid decimal', input);
};

function notFinite(input: unknown, state: State) {
  return report(state, 'finite_number', 'Input should be a finite number', input);
}
