import { BufferedSignals } from './buffered-signals';
import { Checkpoints } from './checkpoints';
import { Events } from './events';
import { Leases } from './leases';
import { Listings } from './listings';
import { Retention } from './retention';
import { Runs } from './runs';
import { Scope } from './scope';
import type { Tables } from './tables';
import { Waiters } from './waiters';

/**
 * The statements on the five tables, by concern, as a store confined to a namespace makes them; without one nothing is confined.
 * They hold texts and no state, so that views of one store share them.
 */
export class Statements {
  readonly runs: Runs;
  readonly checkpoints: Checkpoints;
  readonly waiters: Waiters;
  readonly buffered: BufferedSignals;
  readonly events: Events;
  readonly leases: Leases;
  readonly listings: Listings;
  readonly retention: Retention;

  constructor(
    readonly tables: Tables,
    readonly namespace: string | undefined,
  ) {
    const scope = new Scope(tables, namespace);
    this.runs = new Runs(tables, scope);
    this.checkpoints = new Checkpoints(tables, scope);
    this.waiters = new Waiters(tables, scope);
    this.buffered = new BufferedSignals(tables);
    this.events = new Events(tables);
    this.leases = new Leases(tables, scope);
    this.listings = new Listings(tables, scope);
    this.retention = new Retention(tables, scope, this.runs, this.buffered);
  }
}
