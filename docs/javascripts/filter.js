// The filter of the index of recipes. Without it, the table is whole.
(() => {
  const form = document.querySelector(".rr-filter");
  const data = document.getElementById("rr-data");
  if (!form || !data) return;

  const { hardware, task, gib } = form.elements;
  const told = form.querySelector("[role=status]");
  const facts = JSON.parse(data.textContent);
  const rows = [...document.querySelectorAll("article tbody tr")].map((row) => {
    const link = row.querySelector("a");
    return { row, link, href: link.getAttribute("href"), of: facts.find((one) => one.recipe === link.textContent) };
  });
  const asked = new URLSearchParams(location.search);

  function show() {
    let count = 0;
    for (const { row, link, href, of } of rows) {
      const wanted = (!hardware.value || of.fits.includes(hardware.value))
        && (!task.value || of.task === task.value)
        && (!gib.value || of.gib <= Number(gib.value));
      row.hidden = !wanted;
      link.setAttribute("href", hardware.value ? `${href}?hardware=${encodeURIComponent(hardware.value)}` : href);
      count += wanted;
    }
    told.textContent = `${count} of ${rows.length} recipes`;
  }

  form.addEventListener("change", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  for (const select of [hardware, task, gib]) {
    const value = asked.get(select.name);
    if (value && [...select.options].some((option) => option.value === value)) select.value = value;
  }
  form.hidden = false;
  show();
})();
