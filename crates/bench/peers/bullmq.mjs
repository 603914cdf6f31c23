// Empty jobs through BullMQ: node bullmq.mjs PORT JOBS prints the seconds from the first job added to the last one done.
import { Queue, Worker } from 'bullmq';

const [port, jobs] = process.argv.slice(2).map(Number);
const connection = { host: '127.0.0.1', port, maxRetriesPerRequest: null };
const queue = new Queue('bench', {
  connection,
  defaultJobOptions: { removeOnComplete: true, removeOnFail: true },
});
await queue.waitUntilReady();

let done = 0;
let finish;
const finished = new Promise((resolve) => { finish = resolve; });
const worker = new Worker('bench', async () => { done += 1; if (done === jobs) finish(); }, {
  connection,
  concurrency: 200,
});
await worker.waitUntilReady();

const begun = process.hrtime.bigint();
for (let n = 0; n < jobs; n += 500) {
  const count = Math.min(500, jobs - n);
  await queue.addBulk(Array.from({ length: count }, (_, i) => ({ name: 'empty', data: { n: n + i } })));
}
await finished;
// Closing waits until the last ones are acknowledged too.
await worker.close();
console.log(Number(process.hrtime.bigint() - begun) / 1e9);
await queue.close();
