// The last step of everything that changes a domain: ask the host what is true now, instead of believing the calls.
import { observeDomain } from './domain.ts';
import type { Step } from './step.ts';

export const recordStep: Step = {
  name: 'record',
  async run(run) {
    const { hypervisor } = await run.host();
    const { instanceId } = run.operation;
    if (instanceId === null) return;
    const { state, consolePort } = await observeDomain(hypervisor, instanceId, { signal: run.signal });
    run.remember({ observed: state, consolePort });
  },
};
