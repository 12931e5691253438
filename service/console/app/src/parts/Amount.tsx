import { exact, readable } from "../numbers/decimal";

interface Props {
  amount: string;
  currency: string;
  digits?: number;
}

/** An amount of money; its title has all digits. */
export function Amount({ amount, currency, digits = 2 }: Props) {
  return (
    <span className="amount" title={`${exact(amount)} ${currency}`}>
      {readable(amount, digits)} <span className="amount-currency">{currency}</span>
    </span>
  );
}
