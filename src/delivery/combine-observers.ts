import type { DeliveryObserver } from './observer.ts';

/** One observer that tells each of these, in their order. */
export function combineObservers(...observers: readonly DeliveryObserver[]): DeliveryObserver {
  const tellAll =
    <Event>(tell: (observer: DeliveryObserver, event: Event) => void) =>
    (event: Event): void => {
      for (const observer of observers) tell(observer, event);
    };
  return {
    uploaded: tellAll((observer, event) => observer.uploaded(event)),
    delivered: tellAll((observer, event) => observer.delivered(event)),
    retryScheduled: tellAll((observer, event) => observer.retryScheduled(event)),
    held: tellAll((observer, hold) => observer.held(hold)),
    stillHeld: tellAll((observer, hold) => observer.stillHeld(hold)),
    holdEnded: tellAll((observer, hold) => observer.holdEnded(hold)),
    buried: tellAll((observer, event) => observer.buried(event)),
    outboxFailed: tellAll((observer, event) => observer.outboxFailed(event)),
    defect: tellAll((observer, event) => observer.defect(event)),
  };
}
