// Whether the window has room for forms and text side by side.

import { useEffect, useState } from 'preact/hooks';

/** As in compose.css. */
const QUERY = '(max-width: 980px)';

export function useNarrow(): boolean {
  const [narrow, setNarrow] = useState(() => matchMedia(QUERY).matches);
  useEffect(() => {
    const query = matchMedia(QUERY);
    const listen = (): void => setNarrow(query.matches);
    query.addEventListener('change', listen);
    return () => query.removeEventListener('change', listen);
  }, []);
  return narrow;
}
