// SPDX-License-Identifier: GPL-2.0-only
// Makes the quizzes of a page clickable. The page has each as a question, a numbered list and a folded answer; from
// these come the options to choose, what is right, and what to say to each choice (see quiz.py for the notation).

import { kept, note } from "./store.js";
import { _ } from "../words/words.js";

const page = pageName();
document.querySelectorAll(".admonition.quiz").forEach(enliven);

/** The page's address inside the book, so that progress is the same wherever the book is served. */
function pageName() {
  const root = new URL(document.documentElement.dataset.content_root ?? "./", location.href).pathname;
  return location.pathname.slice(root.length).replace(/(index)?\.html$/, (found, index) => index ?? "") || "index";
}

function enliven(quiz) {
  const answer = quiz.querySelector("details");
  const list = quiz.querySelector(":scope > ol");
  const said = answer && explanations(answer.querySelector(".sd-summary-content") ?? answer);
  if (!said?.right.length) return;
  const name = `${page}#${quiz.id}`;
  const status = make("p", "kmm-quiz-said", { role: "status" });
  const ask = list ? choices(quiz, list, said.right.length > 1) : blank(quiz, answer);
  const button = make("button", "kmm-quiz-check", { type: "button", textContent: _("Check") });
  const foot = make("div", "kmm-quiz-foot");
  foot.append(button, status);
  answer.before(foot);
  if (kept().quizzes[name]?.outcome === "right") status.textContent = _("You have had this right before.");

  const check = () => {
    const chosen = ask.chosen();
    if (chosen === undefined) return say(ask.empty);
    const right = same(chosen, said.right);
    note("quizzes", name, right ? "right" : "wrong");
    quiz.dataset.outcome = right ? "right" : "wrong";
    ask.mark(chosen, said.right, right);
    if (right) {
      answer.open = true;
      return say(_("Right."));
    }
    const why = chosen.map((number) => said.others.get(String(number))).find((words) => words && !same(chosen, said.right));
    if (list && said.right.length > 1) return say(partly(chosen, said.right), why);
    return say(why ? _("Not right.") : _("Not right. Try again, or open the answer."), why);
  };
  const say = (words, why) => {
    status.replaceChildren(words, ...(why ? [" ", ...why.map((node) => node.cloneNode(true))] : []));
  };
  button.addEventListener("click", check);
  ask.field?.addEventListener("keydown", (event) => event.key === "Enter" && check());
}

/** The paragraphs of the answer: the first that begins with bold numbers has the right ones, others speak to a choice. */
function explanations(content) {
  let right = [];
  const others = new Map();
  for (const paragraph of content.querySelectorAll(":scope > p")) {
    const bold = paragraph.firstElementChild;
    if (bold?.tagName !== "STRONG" || paragraph.firstChild !== bold) continue;
    const numbers = (bold.textContent.match(/0x[0-9a-f]+|\d+/gi) ?? []).map(Number);
    if (!numbers.length || !/^[\s,.\dxa-f]*(and[\s,.\d]*)?$/i.test(bold.textContent)) continue;
    if (!right.length) right = numbers;
    else for (const number of numbers) others.set(String(number), [...paragraph.childNodes].slice(1));
  }
  return { right, others };
}

function choices(quiz, list, several) {
  const group = make("fieldset", "kmm-quiz-options");
  group.append(make("legend", "kmm-quiz-legend", { textContent: quiz.querySelector(".admonition-title")?.textContent ?? "" }));
  list.before(group);
  group.append(list);
  const fields = [...list.children].map((item, at) => {
    const field = make("input", "", { type: several ? "checkbox" : "radio", name: `${quiz.id}-choice`, value: String(at + 1) });
    const words = make("span", "kmm-quiz-words");
    for (const node of [...item.childNodes]) words.append(...(node.tagName === "P" ? node.childNodes : [node]));
    const label = make("label", "kmm-quiz-option");
    label.append(field, words);
    item.replaceChildren(label);
    return field;
  });
  return {
    empty: several ? _("Tick all that are right first.") : _("Choose an answer first."),
    chosen: () => {
      const some = fields.filter((field) => field.checked).map((field) => Number(field.value));
      return some.length ? some : undefined;
    },
    mark: (chosen, right) => fields.forEach((field, at) => {
      const hit = right.includes(at + 1);
      if (chosen.includes(at + 1)) field.closest("li").dataset.mark = hit ? "right" : "wrong";
      else delete field.closest("li").dataset.mark;
    }),
  };
}

function blank(quiz, answer) {
  const field = make("input", "kmm-quiz-number", { type: "text", autocomplete: "off", spellcheck: false, maxLength: 40 });
  field.inputMode = "text";
  const label = make("label", "kmm-quiz-blank");
  label.append(_("Your answer, a number"), " ", field);
  answer.before(label);
  return {
    empty: _("Type a number, such as 4096 or 0x1000."),
    field,
    chosen: () => {
      const text = field.value.replace(/[\s_,]/g, "");
      return /^-?(0x[0-9a-f]+|\d+)$/i.test(text) ? [text.startsWith("-") ? -Number(text.slice(1)) : Number(text)] : undefined;
    },
    mark: (chosen, right, all) => field.setAttribute("aria-invalid", String(!all)),
  };
}

function partly(chosen, right) {
  const hit = chosen.filter((number) => right.includes(number)).length;
  return _("Not all of it: {hit} of {of} right ones, and {miss} that should not be ticked.",
    { hit, of: right.length, miss: chosen.length - hit });
}

function same(one, other) {
  return one.length === other.length && one.every((number) => other.includes(number));
}

function make(tag, className, properties = {}) {
  const { role, ...rest } = properties;
  const element = Object.assign(document.createElement(tag), rest);
  if (className) element.className = className;
  if (role) element.setAttribute("role", role);
  return element;
}
