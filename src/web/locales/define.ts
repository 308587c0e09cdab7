// The catalogue's form: English and Traditional Chinese side by side, so that neither can be forgotten.

/** key → [English, Traditional Chinese]; `{{name}}` is filled from the parameters */
export type Messages = Readonly<Record<string, readonly [english: string, chinese: string]>>;

export function defineMessages<T extends Messages>(messages: T): T {
  return messages;
}
