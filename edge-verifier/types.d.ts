// What Rust sends to the entry: the types of `Reply`, `Forward` and `Answer` as JSON.

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
  answer: { remove: string[]; set: HeaderList; vary: boolean };
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
