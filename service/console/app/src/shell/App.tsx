import { Router } from "wouter";
import { CONSOLE_PATH } from "../address/address";
import { useLanguage } from "../language/useWords";
import { useTheme } from "../preferences/theme";
import { SessionProvider } from "../session/SessionContext";
import { RangeProvider } from "../time/RangeContext";
import { Layout } from "./Layout";
import { useWholeNames } from "./useWholeNames";
import { useEffect } from "react";

/** The console. */
export function App() {
  const language = useLanguage();
  useTheme();
  useWholeNames();
  useEffect(() => {
    document.documentElement.lang = language;
  }, [language]);
  return (
    <Router base={CONSOLE_PATH}>
      <SessionProvider>
        <RangeProvider>
          <Layout />
        </RangeProvider>
      </SessionProvider>
    </Router>
  );
}
