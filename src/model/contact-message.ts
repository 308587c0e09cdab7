// What somebody wrote with the contact form, and what an admin answered.

export interface ContactMessage {
  readonly id: string;
  readonly at: number;
  /** null: a visitor */
  readonly userId: string | null;
  readonly name: string;
  readonly email: string;
  readonly subject: string;
  readonly body: string;
  /** when it was mailed to the contact address; null: not, and `mailError` says why where that was tried */
  readonly mailedAt: number | null;
  readonly mailError: string | null;
  /** when the first admin opened it */
  readonly readAt: number | null;
  readonly answer: string | null;
  readonly answeredAt: number | null;
  readonly answeredBy: string | null;
  readonly answerMailedAt: number | null;
  readonly answerMailError: string | null;
}

/** Characters; the body fits into its column at 4 bytes each, and what is longer belongs into an attachment anyway. */
export const contactLimits = { name: 80, email: 254, subject: 200, body: 3000, answer: 2000 } as const;
