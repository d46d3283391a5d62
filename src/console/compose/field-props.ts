// What fields and the fields that hold them have in common.

import type { ComponentChildren, ComponentType } from 'preact';
import type { Path } from './document.ts';
import type { Draft } from './draft.ts';
import type { Schema } from './schema.ts';

export interface FieldProps {
  readonly draft: Draft;
  readonly schema: Schema;
  readonly path: Path;
  /** As it is shown: a key, or `2` for the second item. */
  readonly name: string;
  /** What to call it where it cannot be seen: `llm: credentials`. */
  readonly full: string;
  readonly required?: boolean;
  /** Its surroundings say what it is: no head. */
  readonly headless?: boolean;
  /** Takes the field out of the document; absent: it stays. */
  readonly onRemove?: () => void;
  /** More buttons beside the name. */
  readonly tools?: ComponentChildren;
}

/** A field that holds fields is handed what shows one. */
export interface GroupProps extends FieldProps {
  readonly inner: ComponentType<FieldProps>;
}
