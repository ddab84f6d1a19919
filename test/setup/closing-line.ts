import type { Reporter, TestModule, TestSuite, Vitest } from 'vitest/node';
import type { ProvidedContext } from 'vitest';
import { searchForSecrets } from './secrets-search.ts';

/**
 * Ends the output with the counts in one plain line, for programs that read it. Before that, it searches everything
 * that the tests left behind for the secrets they used, which counts as one test.
 */
export default class ClosingLine implements Reporter {
  #vitest: Vitest | undefined;

  onInit(vitest: Vitest): void {
    this.#vitest = vitest;
  }

  async onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): Promise<void> {
    const leaks = await this.#search();
    const { tagsFilter = [] } = this.#vitest?.config ?? {};
    // tests of the other suite are not skipped, but left to it
    const tests = modules
      .flatMap((module) => [...module.children.allTests()])
      .filter(
        ({ options }) =>
          tagsFilter.length === 0 || (options.tags ?? []).includes('long') === tagsFilter.includes('long'),
      );
    const count = (state: string) => tests.filter((test) => test.result().state === state).length;
    const failed = count('failed') + brokenSuites(modules).length + errors.length + (leaks?.length ? 1 : 0);
    const passed = count('passed') + (leaks?.length === 0 ? 1 : 0);
    // Vitest sets an exit code that ignores leaks, and something may reset it to 0
    if (failed > 0) process.once('exit', () => (process.exitCode = 1));
    // after the summary, which is printed in the same turn
    setImmediate(() => {
      for (const leak of leaks ?? []) process.stdout.write(`\nA secret was found: ${leak}\n`);
      process.stdout.write(`\n${passed} passed, ${failed} failed, ${count('skipped')} skipped\n`);
    });
  }

  /** Returns undefined if the servers did not start, which is an error of its own. */
  async #search(): Promise<string[] | undefined> {
    const context: Partial<ProvidedContext> | undefined = this.#vitest?.getRootProject().getProvidedContext();
    const { temporalAddress, told, sourceAdmin, warehouseAdmin } = context ?? {};
    if (!temporalAddress || !told || !sourceAdmin || !warehouseAdmin) return undefined;
    return searchForSecrets({ temporalAddress, told, urls: [sourceAdmin, warehouseAdmin] });
  }
}

/** Files and groups of tests that failed themselves, as in a hook: their tests count as skipped or passed. */
function brokenSuites(modules: readonly TestModule[]): (TestModule | TestSuite)[] {
  return modules
    .flatMap((module) => [module, ...module.children.allSuites()])
    .filter((suite) => suite.state() === 'failed' && suite.errors().length > 0);
}
