// The picker of a recipe's page. Every text that it shows was planned when the page was generated; it only chooses.
(() => {
  const form = document.querySelector(".rr-picker");
  const data = document.getElementById("rr-data");
  if (!form || !data) return;

  const { hardware, texts } = JSON.parse(data.textContent);
  const { hardware: profile, tp, dp } = form.elements;
  const told = document.querySelector(".rr-told");
  const shown = document.querySelector(".rr-shown");
  const notes = shown.querySelector(".rr-notes");
  const [command, server] = shown.querySelectorAll("pre > code");
  const asked = new URLSearchParams(location.search);

  const has = (select, value) => [...select.options].some((option) => option.value === value);
  const plan = (one, other) => hardware[profile.value].plans[`${one},${other}`];

  function begin() {
    [tp.value, dp.value] = hardware[profile.value].start;
  }

  // Which values are refused beside the other choice stands in the list, before anybody chooses them.
  function mark(select, planned) {
    for (const option of select.options) {
      option.textContent = option.value + (planned(option.value).server === undefined ? " (refused)" : "");
    }
  }

  function show() {
    const chosen = plan(tp.value, dp.value);
    mark(tp, (value) => plan(value, dp.value));
    mark(dp, (value) => plan(tp.value, value));
    told.textContent = `On ${profile.value}, TP ${tp.value}, DP ${dp.value}. ${texts[chosen.told]}`;
    told.classList.toggle("rr-refused", chosen.server === undefined);
    shown.hidden = chosen.server === undefined;
    if (shown.hidden) return;
    command.textContent = texts[chosen.run];
    server.textContent = texts[chosen.server];
    notes.replaceChildren(...(chosen.notes || []).map((note) => {
      const item = document.createElement("li");
      item.textContent = texts[note];
      return item;
    }));
  }

  function remember() {
    const words = new URLSearchParams({ hardware: profile.value, tp: tp.value, dp: dp.value });
    try {
      history.replaceState(history.state, "", `?${words}${location.hash}`);
    } catch {
      // a page that was opened as a file may not change its address
    }
  }

  profile.addEventListener("change", begin);
  form.addEventListener("change", () => {
    show();
    remember();
  });
  form.addEventListener("submit", (event) => event.preventDefault());

  if (has(profile, asked.get("hardware"))) {
    profile.value = asked.get("hardware");
    begin();
    for (const select of [tp, dp]) {
      if (has(select, asked.get(select.name))) select.value = asked.get(select.name);
    }
  }
  form.hidden = false;
  show();
})();
