// One job from a process of its own, whose environment the tests choose. Prints the job's output.

import { clientFor, job, quietCall } from './kit.ts';

const [url = '', token = ''] = process.argv.slice(2);
clientFor({ url, token })
  .run(job('echo hi'), quietCall())
  .then(({ output }) => process.stdout.write(output));
