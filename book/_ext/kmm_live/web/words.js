// SPDX-License-Identifier: GPL-2.0-only
// What these scripts say goes through this, as in all of the book's: see kmm_words.
export { _ } from "../../kmm_words/static/words/words.js";
