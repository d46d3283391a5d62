// One field of a question.

import { useId } from 'preact/hooks';
import type { QuestionField as Field } from '../../client/question.ts';
import { visible } from '../visible.ts';

interface QuestionFieldProps {
  readonly field: Field;
  readonly value: string;
  readonly onChange: (value: string) => void;
}

export function QuestionField({ field, value, onChange }: QuestionFieldProps) {
  const { kind, label, required, placeholder, options, type } = field;
  const id = useId();
  const name = (
    <span>
      {visible(label)}
      {required && <span class="muted"> required</span>}
    </span>
  );
  if (kind === 'unsupported') {
    return (
      <p class="field muted">
        {name} A field of type “{visible(type)}” cannot be filled in here.
      </p>
    );
  }
  return (
    <label class="field" htmlFor={id}>
      {name}
      {kind === 'select' ? (
        <select id={id} required={required} value={value} onChange={(event) => onChange(event.currentTarget.value)}>
          <option value="">–</option>
          {options.map((option, index) => (
            <option key={`${index} ${option.value}`} value={option.value}>
              {visible(option.label)}
            </option>
          ))}
        </select>
      ) : (
        <textarea
          id={id}
          rows={2}
          required={required}
          placeholder={visible(placeholder)}
          value={value}
          onInput={(event) => onChange(event.currentTarget.value)}
        />
      )}
    </label>
  );
}
