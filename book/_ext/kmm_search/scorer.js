// What counts for how much in the search, as in Sphinx's searchtools.js but for `title`: a page with the word in one of
// its titles comes after the index entry that is just that word (100), and before those of which it is a part.
var Scorer = {
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 70,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
