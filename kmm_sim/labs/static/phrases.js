// Every text comes from Python as a string, or as the name of a phrase and what goes into its gaps.

const GAP = /\{(\w+)(?::([^}]*))?\}/g;

function format(value, spec) {
  if (spec === "#x") return "0x" + BigInt(value ?? 0).toString(16); // a large one comes as a string of digits
  if (spec) return String(value).padStart(Number(spec.replace(">", "")));
  return String(value);
}

export class Phrases {
  // `nodes` is asked for the lists that a gap counts.
  constructor(table, nodes) {
    this.table = table;
    this.nodes = nodes;
  }

  has(name) {
    return name in this.table;
  }

  named(name, gaps) {
    return this.table[name].replace(GAP, (_, gap, spec) => format(this.value(gaps[gap]), spec));
  }

  say(text) {
    return Array.isArray(text) ? this.named(text[0], text.slice(1)) : text ?? "";
  }

  // An event, in one of its two tellings: "says" is a sentence, "log" a line of the trace. Of several machines
  // each is named.
  told(how, [name, ...gaps]) {
    if (name === "on") return `${gaps[0]}: ${this.told(how, gaps[1])}`;
    return this.named(`${how}.${name}`, gaps);
  }

  value(gap) {
    if (!gap?.count) return gap;
    return gap.count.reduce((sum, key) => sum + (this.nodes().get(key)?.keys?.length ?? 0), 0);
  }
}
