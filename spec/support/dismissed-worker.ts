/** Starts a worker of the demo and sends it home before it can have booted. */
import { Worker } from '../../examples/demo/workers';

const workMs = { reserve: [0, 0], charge: [0, 0], ship: [0, 0] } as const;
const worker = Worker.start({ name: 'w1', url: 'sqlite::memory:', leaseMs: 1000, workMs }, () => undefined);
worker.dismiss().then(() => process.stdout.write(worker.broke ? 'broke\n' : 'left in order\n'));
