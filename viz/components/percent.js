// A share of 1 as a percentage, as in percent.py.
function percent(share, decimals = 1) {
  if (share === 0) return "0 %";
  if (Number.isNaN(share)) return "–";
  const least = 10 ** -decimals;
  if (100 * Math.abs(share) < least) return `< ${least.toFixed(decimals)} %`;
  return `${(Math.sign(share) * Math.floor(Math.abs(100 * share) / least + 0.5) * least).toFixed(decimals)} %`;
}
