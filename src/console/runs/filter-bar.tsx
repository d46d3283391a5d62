// Search and filters over the list of runs.

import { useConsole } from '../context.ts';
import { STATUSES } from '../list/filters.ts';

export function FilterBar() {
  const { filters } = useConsole();
  return (
    <search class="filters">
      <input
        type="search"
        placeholder="Run id begins with…  ( / )"
        aria-label="Run id begins with"
        spellcheck={false}
        maxLength={200}
        value={filters.search.value}
        onInput={(event) => {
          filters.search.value = event.currentTarget.value;
        }}
      />
      <input
        type="text"
        class="filter-tenant"
        placeholder="Tenant"
        aria-label="Tenant"
        spellcheck={false}
        maxLength={200}
        value={filters.tenant.value}
        onInput={(event) => {
          filters.tenant.value = event.currentTarget.value;
        }}
      />
      <fieldset class="segments">
        <legend class="unseen">Status</legend>
        {['', ...STATUSES].map((status) => (
          <label key={status}>
            <input
              type="radio"
              name="status"
              class="unseen"
              checked={filters.status.value === status}
              onChange={() => {
                filters.status.value = status;
              }}
            />
            <span>{status === '' ? 'all' : status}</span>
          </label>
        ))}
      </fieldset>
    </search>
  );
}
