/** One live line on a terminal; elsewhere a line now and then. */
export class Progress {
  private shownAt = 0;

  constructor(
    private readonly out: NodeJS.WriteStream,
    private readonly everyMs = 2000,
  ) {}

  show(line: string): void {
    if (this.out.isTTY) {
      this.out.write(`\r\x1b[2K${line.slice(0, this.out.columns - 1)}`);
    } else if (Date.now() - this.shownAt >= this.everyMs) {
      this.shownAt = Date.now();
      this.out.write(`${line}\n`);
    }
  }

  /** A line that stays. */
  print(line: string): void {
    this.out.write(this.out.isTTY ? `\r\x1b[2K${line}\n` : `${line}\n`);
  }
}
