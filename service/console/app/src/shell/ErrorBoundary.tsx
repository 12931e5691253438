import { Component, type ReactNode } from "react";
import { Button } from "../parts/controls/Button";

interface Props {
  title: string;
  reload: string;
  children: ReactNode;
}

/** Keeps the navigation when a page breaks, or cannot be loaded. */
export class ErrorBoundary extends Component<Props, { error: Error | null }> {
  override state: { error: Error | null } = { error: null };

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  override render() {
    const { error } = this.state;
    if (error === null) return this.props.children;
    return (
      <div className="problem" role="alert">
        <p>
          <strong>{this.props.title}</strong>
        </p>
        <p className="problem-message">{error.message}</p>
        <p className="problem-foot">
          <Button icon="refresh" onClick={() => location.reload()}>
            {this.props.reload}
          </Button>
        </p>
      </div>
    );
  }
}
