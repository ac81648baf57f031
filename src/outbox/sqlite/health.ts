/** Whether the store takes writes, as far as is known from the last ones. */
export interface Health {
  /** Null while it does. */
  readonly problem: string | null;
  failed(problem: string): void;
  wrote(): void;
}

export function createHealth(): Health {
  let problem: string | null = null;
  return {
    get problem() {
      return problem;
    },
    failed(reason) {
      problem = reason;
    },
    wrote() {
      problem = null;
    },
  };
}
