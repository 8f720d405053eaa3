// What Rust sends to the entry: the types of `Reply`, `Forward`, `Answer` and `Settled` as JSON.

type HeaderList = [name: string, value: string][];

export interface Reply {
  forward?: Forward;
  answer?: Answer;
  background: boolean;
}

export interface Forward {
  route: number;
  url: string;
  requestId: string;
  service: string | null;
  timeoutMs: number;
  countBody: number | null;
  remove: string[];
  set: HeaderList;
  watch: boolean;
  countedAs: string | null;
  serverTiming: boolean;
  metric: Metric;
  answer: AnswerRules;
  hold: Hold | null;
}

export interface AnswerRules {
  remove: string[];
  set: HeaderList;
  append: HeaderList;
  vary: boolean;
}

/** Credits held for a request; the entry keeps it and hands it back. */
export type Hold = Record<string, unknown>;

/** What became of a hold: an answer in place of the backend's, or headers of that one. */
export interface Settled {
  answer?: Answer;
  set: HeaderList;
  append: HeaderList;
}

export interface Answer {
  status: number;
  headers: HeaderList;
  body: string | null;
  log: string | null;
  countedAs: string | null;
  route: number | null;
  metric: Metric;
}

export interface Metric {
  route: string;
  code: string;
  keys: string;
}
