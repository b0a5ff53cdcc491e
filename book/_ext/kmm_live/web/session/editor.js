// SPDX-License-Identifier: GPL-2.0-only
// A code editor for one cell. Its colours are classes, so that the page's style sheet decides them, light and dark.

import { EditorView, keymap } from "@codemirror/view";
import { EditorState } from "@codemirror/state";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { bracketMatching, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { classHighlighter } from "@lezer/highlight";
import { python } from "@codemirror/lang-python";

/** `label` is its name for those who hear the page; `onRun()` and `onChange(text)` are told. */
export function makeEditor({ doc, label, onRun, onChange }) {
  const keys = [
    { key: "Shift-Enter", run: () => (onRun(), true) },
    { key: "Mod-Enter", run: () => (onRun(), true) },
    { key: "Escape", run: (view) => (view.setTabFocusMode(true), false) }, // the next Tab leaves the editor
    indentWithTab, ...defaultKeymap, ...historyKeymap,
  ];
  const view = new EditorView({
    state: EditorState.create({
      doc,
      extensions: [
        keymap.of(keys), history(), indentUnit.of("    "), bracketMatching(), python(), syntaxHighlighting(classHighlighter),
        EditorView.contentAttributes.of({
          "aria-label": label, tabindex: "0", spellcheck: "false", autocapitalize: "off", autocorrect: "off",
        }),
        EditorView.updateListener.of((update) => update.docChanged && onChange(update.state.doc.toString())),
        EditorView.domEventHandlers({ blur: (event, left) => left.setTabFocusMode(false) }),
      ],
    }),
  });
  view.dom.classList.add("kmm-cell-editor");
  return {
    element: view.dom,
    get text() { return view.state.doc.toString(); },
    replace: (text) => view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } }),
    focus: () => view.focus(),
  };
}
